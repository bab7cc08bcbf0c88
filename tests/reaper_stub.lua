-- The part of REAPER's API that our scripts use, with the meanings its documentation gives it, and strict:
-- an unknown function, value or type of argument is an error. ExecProcess runs real programs.

local stub = require("reaper_project")
local guid, with, shallow, freeze = stub.guid, stub.with, stub.shallow, stub.freeze
local ITEM, TAKE, TRACK = stub.ITEM, stub.TAKE, stub.TRACK
local resolve, check, number, integer, text = stub.resolve, stub.check, stub.number, stub.integer, stub.text
local file_source, new_project = stub.file_source, stub.new_project

local function all_items(project)
  local list = {}
  for _, track in ipairs(resolve(project).tracks) do
    for _, item in ipairs(track.items) do list[#list + 1] = item end
  end
  return list
end

local function selected_items(project)
  local list = {}
  for _, item in ipairs(all_items(project)) do
    if item.selected then list[#list + 1] = item end
  end
  return list
end

local function changing()
  if not stub.open_block then error("the project is changed outside an undo block", 3) end
end

local function getter(kind, defaults)
  return function(object, name)
    check(object, kind)
    if name == "IP_TRACKNUMBER" and kind == "MediaTrack*" then
      for index, track in ipairs(object.project.tracks) do
        if track == object then return index + 0.0 end
      end
      return 0.0
    end
    if defaults[name] == nil then error(kind .. " has no value " .. tostring(name), 2) end
    return object.values[name] + 0.0
  end
end

local function setter(kind, defaults)
  return function(object, name, value)
    check(object, kind)
    changing()
    if defaults[name] == nil then error(kind .. " has no value " .. tostring(name), 2) end
    object.values[name] = number(value)
    return true
  end
end

local function strings(kind)
  return function(object, name, value, set)
    check(object, kind)
    text(value)
    if type(set) ~= "boolean" then error("boolean expected", 2) end
    local ext = name:match("^P_EXT:(.+)$")
    if set then changing() end
    if ext then
      if set then object.ext[ext] = value end
      return object.ext[ext] ~= nil, object.ext[ext] or ""
    elseif name == "GUID" then
      return true, object.guid
    elseif name == "P_NAME" and object.name then
      if set then object.name = value end
      return true, object.name
    end
    error(kind .. " has no text " .. name, 2)
  end
end

local api = {
  GetMediaItemInfo_Value = getter("MediaItem*", ITEM), SetMediaItemInfo_Value = setter("MediaItem*", ITEM),
  GetMediaItemTakeInfo_Value = getter("MediaItem_Take*", TAKE),
  SetMediaItemTakeInfo_Value = setter("MediaItem_Take*", TAKE),
  GetMediaTrackInfo_Value = getter("MediaTrack*", TRACK), SetMediaTrackInfo_Value = setter("MediaTrack*", TRACK),
  GetSetMediaItemInfo_String = strings("MediaItem*"), GetSetMediaItemTakeInfo_String = strings("MediaItem_Take*"),
  GetSetMediaTrackInfo_String = strings("MediaTrack*"),
}

function api.EnumProjects(index)
  if index == -1 then return stub.current, stub.current.file end
  local project = stub.projects[index + 1]
  if project then return project, project.file end
end

function api.SelectProjectInstance(project) stub.current = resolve(project) end
function api.ValidatePtr(object, kind)
  if type(object) ~= "table" or object.kind ~= kind or object.deleted then return false end
  if kind ~= "ReaProject*" then return true end
  for _, project in ipairs(stub.projects) do
    if project == object then return true end
  end
  return false
end

function stub.close_project(project)
  for index, open in ipairs(stub.projects) do
    if open == project then table.remove(stub.projects, index) end
  end
  if stub.current == project then stub.current = stub.projects[1] or new_project("") end
end

function api.CountTracks(project) return #resolve(project).tracks end
function api.GetTrack(project, index) return resolve(project).tracks[integer(index) + 1] end
function api.InsertTrackAtIndex(index, _)
  changing()
  stub.track({ name = "", at = integer(index) + 1, project = stub.current })
end
function api.CountTrackMediaItems(track) return #check(track, "MediaTrack*").items end
function api.GetTrackMediaItem(track, index) return check(track, "MediaTrack*").items[integer(index) + 1] end
function api.CountMediaItems(project) return #all_items(project) end
function api.GetMediaItem(project, index) return all_items(project)[integer(index) + 1] end
function api.CountSelectedMediaItems(project) return #selected_items(project) end
function api.GetSelectedMediaItem(project, index) return selected_items(project)[integer(index) + 1] end
function api.IsMediaItemSelected(item) return check(item, "MediaItem*").selected end
function api.GetMediaItem_Track(item) return check(item, "MediaItem*").track end
function api.GetActiveTake(item) return check(item, "MediaItem*").takes[1] end

function api.AddMediaItemToTrack(track)
  changing()
  return stub.item(check(track, "MediaTrack*"), { selected = false })
end

function api.AddTakeToMediaItem(item)
  changing()
  local take = { kind = "MediaItem_Take*", item = check(item, "MediaItem*"), name = "", midi = false,
                 values = with(TAKE), markers = {}, envelopes = 0, effects = 0 }
  item.takes[#item.takes + 1] = take
  return take
end

function api.DeleteTrackMediaItem(track, item)
  changing()
  for index, candidate in ipairs(check(track, "MediaTrack*").items) do
    if candidate == item then
      table.remove(track.items, index)
      item.deleted = true
      return true
    end
  end
  return false
end

-- The right half is a new item that goes on in the source where the left one stops.
function api.SplitMediaItem(item, position)
  check(item, "MediaItem*")
  changing()
  local v = item.values
  if position <= v.D_POSITION or position >= v.D_POSITION + v.D_LENGTH then return nil end
  local right = shallow(item)
  right.kind, right.guid, right.track = "MediaItem*", guid(), item.track
  right.takes = {}
  for index, take in ipairs(item.takes) do
    local copy = shallow(take)
    copy.kind, copy.item, copy.source = "MediaItem_Take*", right, take.source
    copy.values.D_STARTOFFS = take.values.D_STARTOFFS + (position - v.D_POSITION) * take.values.D_PLAYRATE
    right.takes[index] = copy
  end
  right.values.D_LENGTH = v.D_POSITION + v.D_LENGTH - position
  right.values.D_POSITION = position
  right.values.D_FADEINLEN = 0
  v.D_LENGTH = position - v.D_POSITION
  v.D_FADEOUTLEN = 0
  table.insert(item.track.items, right)
  return right
end

function api.TakeIsMIDI(take) return check(take, "MediaItem_Take*").midi end
function api.CountTakeEnvelopes(take) return check(take, "MediaItem_Take*").envelopes end
function api.TakeFX_GetCount(take) return check(take, "MediaItem_Take*").effects end
function api.GetMediaItemTake_Source(take) return check(take, "MediaItem_Take*").source end
function api.SetMediaItemTake_Source(take, source)
  changing()
  check(take, "MediaItem_Take*").source = check(source, "PCM_source*")
  return true
end
function api.GetTakeNumStretchMarkers(take) return #check(take, "MediaItem_Take*").markers end
function api.GetTakeStretchMarker(take, index)
  local marker = take.markers[integer(index) + 1]
  if not marker then return -1, 0.0, 0.0 end
  return index, marker[1], marker[2]
end
function api.SetTakeStretchMarker(take, index, position, source_position)
  changing()
  if index ~= -1 then error("only new markers are expected here", 2) end
  take.markers[#take.markers + 1] = { number(position), number(source_position), 0 }
  return #take.markers - 1
end
function api.GetTakeStretchMarkerSlope(take, index) return take.markers[integer(index) + 1][3] or 0 end
function api.SetTakeStretchMarkerSlope(take, index, slope)
  changing()
  take.markers[integer(index) + 1][3] = number(slope)
  return true
end

function api.PCM_Source_CreateFromFile(path)
  local source = file_source(text(path))
  return source.rate > 0 and source or nil
end
function api.PCM_Source_Destroy(source) check(source, "PCM_source*").deleted = true end
function api.GetMediaSourceParent(source) return check(source, "PCM_source*").parent end
function api.GetMediaSourceType(source, buffer)
  text(buffer)
  return check(source, "PCM_source*").type
end
function api.GetMediaSourceFileName(source, buffer)
  text(buffer)
  return check(source, "PCM_source*").path
end
function api.GetMediaSourceSampleRate(source) return check(source, "PCM_source*").rate end
function api.GetMediaSourceLength(source) return check(source, "PCM_source*").length, false end
function api.PCM_Source_GetSectionInfo(source)
  check(source, "PCM_source*")
  if not source.parent then return false, 0.0, 0.0, false end
  return true, source.offset, source.length, source.reversed
end

function api.Undo_BeginBlock2(project)
  if stub.open_block then error("undo blocks are nested", 2) end
  stub.open_block = freeze(resolve(project))
end
function api.Undo_EndBlock2(_, label, flags)
  if not stub.open_block then error("no undo block was begun", 2) end
  if flags ~= -1 then error("all kinds of change belong into the step: -1", 2) end
  stub.undo_stack[#stub.undo_stack + 1] = { label = text(label), restore = stub.open_block }
  stub.open_block = nil
end
function stub.undo_steps() return #stub.undo_stack end

local frozen = 0
function api.PreventUIRefresh(by) frozen = frozen + by end
function stub.ui_is_frozen() return frozen ~= 0 end
function api.UpdateArrange() end
function api.UpdateItemInProject(item) check(item, "MediaItem*") end
function api.TrackList_AdjustWindows(_) end
function api.Main_OnCommand(command, _) stub.commands[#stub.commands + 1] = integer(command) end
function api.ColorToNative(r, g, b) return (integer(r) << 16) | (integer(g) << 8) | integer(b) end
function api.GetCursorPositionEx(project) return resolve(project).cursor end
function api.GetSet_LoopTimeRange2(project, set, _, _, _, _)
  if set then error("the time selection is not ours to change", 2) end
  return resolve(project).selection[1], resolve(project).selection[2]
end
function api.format_timestr_pos(seconds, buffer, mode)
  text(buffer)
  integer(mode)
  return ("%d:%06.3f"):format(seconds // 60, seconds % 60)
end

function api.MB(message, title, kind)
  text(message)
  text(title)
  stub.boxes[#stub.boxes + 1] = message
  return table.remove(stub.answers, 1) or (integer(kind) == 0 and 1 or 2)
end
function api.GetUserFileNameForRead(start, title, extension)
  text(start)
  text(title)
  text(extension)
  local chosen = table.remove(stub.files_chosen, 1)
  return chosen ~= nil, chosen or ""
end
function api.GetUserInputs(title, count, captions, values)
  text(title)
  stub.asked = { count = integer(count), captions = text(captions), values = text(values) }
  return stub.inputs ~= nil, stub.inputs or values
end

function api.GetExtState(section, key) return stub.ext[section .. "/" .. key] or "" end
function api.SetExtState(section, key, value, persist)
  if not persist then error("settings are kept", 2) end
  stub.ext[section .. "/" .. key] = text(value)
end
function api.DeleteExtState(section, key, _) stub.ext[section .. "/" .. key] = nil end

function api.GetOS() return stub.os end
function api.GetResourcePath() return stub.resource end
function api.RecursiveCreateDirectory(path, _) os.execute("mkdir -p '" .. text(path):gsub("'", "'\\''") .. "'") end
function api.file_exists(path)
  local file = io.open(text(path), "rb")
  if file then file:close() end
  return file ~= nil
end

local listed = {}
function api.EnumerateFiles(path, index)
  if index == -1 or not listed[path] then
    listed[path] = {}
    local pipe = io.popen("ls -1p '" .. path:gsub("'", "'\\''") .. "' 2>/dev/null")
    for name in pipe:lines() do
      if name:sub(-1) ~= "/" then table.insert(listed[path], name) end
    end
    pipe:close()
  end
  return listed[path][integer(index) + 1]
end

-- No wait: the program runs on by itself, and nothing of it comes back.
function api.ExecProcess(command, timeout_ms)
  stub.execs[#stub.execs + 1] = text(command)
  if integer(timeout_ms) ~= -1 then error("a script that waits stops all of REAPER", 2) end
  os.execute(command .. " >/dev/null 2>&1 &")
  return "0\n"
end

local began = os.time()
function api.time_precise() return (os.time() - began) + os.clock() % 1 end

-- A script: started, called again and again by what it deferred, and cleaned up after.
local deferred, at_exit = {}, {}
function api.defer(callback) deferred[#deferred + 1] = callback end
function api.atexit(callback) at_exit[#at_exit + 1] = callback end
function api.get_action_context() return true, stub.script, 0, 40000, -1, -1, -1 end
function api.SetToggleCommandState(_, command, state) stub.toggles[command] = state end
function api.RefreshToolbar2() end
function api.set_action_options(_) end

--- Run an action until it is over, or `stop()` says so, or a deadline passes; then a script's atexit.
function stub.run(path, stop, seconds)
  stub.script = path
  deferred, at_exit = {}, {}
  for name in pairs(package.loaded) do
    if name:find("^stembridge%.") then package.loaded[name] = nil end
  end
  local search = package.path
  dofile(path)
  local ends = os.time() + (seconds or 60)
  while #deferred > 0 do
    local now = deferred
    deferred = {}
    for _, callback in ipairs(now) do callback() end
    if stop and stop() then break end
    if os.time() > ends then error("the script did not end in time") end
    os.execute("sleep 0.02")
  end
  for _, callback in ipairs(at_exit) do callback() end
  package.path = search
  if stub.open_block then error("an undo block was left open") end
  if frozen ~= 0 then error("the display was left frozen") end
end

gfx = { w = 460, h = 110, x = 0, y = 0, drawn = {} }
function gfx.init() stub.window = "open" end
function gfx.quit() stub.window = "closed" end
function gfx.getchar() return stub.window == "open" and 0 or -1 end
function gfx.drawstr(line) gfx.drawn[#gfx.drawn + 1] = text(line) end
for _, name in ipairs({ "setfont", "set", "rect", "update" }) do gfx[name] = function() end end

reaper = setmetatable(api, { __index = function(_, name) error("REAPER has no function " .. name, 2) end })
rawset(reaper, "set_action_options", api.set_action_options)

--- Everything there is, as plain tables.
function stub.dump(project)
  local tracks = {}
  for index, track in ipairs((project or stub.project).tracks) do
    local items = {}
    for place, item in ipairs(track.items) do
      local take = item.takes[1]
      items[place] = { guid = item.guid, values = item.values, ext = item.ext,
                       take = take and { name = take.name, values = take.values, markers = take.markers,
                                         file = take.source and take.source.path or "" } }
    end
    tracks[index] = { name = track.name, guid = track.guid, values = track.values, items = items }
  end
  return { tracks = tracks, boxes = stub.boxes, undo_steps = #stub.undo_stack, ext = stub.ext, execs = stub.execs,
           drawn = gfx.drawn, commands = stub.commands, window = stub.window }
end

local function encode(value)
  if type(value) == "table" then
    local parts = {}
    if value[1] ~= nil or next(value) == nil then
      for index, entry in ipairs(value) do parts[index] = encode(entry) end
      return "[" .. table.concat(parts, ",") .. "]"
    end
    for name, entry in pairs(value) do parts[#parts + 1] = encode(tostring(name)) .. ":" .. encode(entry) end
    return "{" .. table.concat(parts, ",") .. "}"
  elseif type(value) == "string" then
    return '"' .. value:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
  end
  return math.type(value) == "float" and ("%.17g"):format(value) or tostring(value)
end

function stub.print(value) print(encode(value)) end

return stub
