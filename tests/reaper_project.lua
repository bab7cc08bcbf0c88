-- What a project of REAPER holds: tracks, items, takes and sources, built by tests and changed by the stub of
-- its API; audio files are real.

local stub = { ext = {}, boxes = {}, answers = {}, execs = {}, commands = {}, window = "closed",
               files_chosen = {}, inputs = nil, toggles = {}, os = "Other", undo_stack = {}, open_block = nil, projects = {} }
local counter = 0

local function guid()
  counter = counter + 1
  return ("{%08X-0000-4000-8000-000000000000}"):format(counter)
end

local function new_project(file)
  local project = { kind = "ReaProject*", file = file or "", tracks = {}, cursor = 0, selection = { 0, 0 } }
  stub.projects[#stub.projects + 1] = project
  return project
end

stub.project = new_project("")
stub.new_project = new_project
stub.current = stub.project

local function resolve(project)
  if project == 0 or project == nil then return stub.current end
  if type(project) ~= "table" or project.kind ~= "ReaProject*" then error("not a project", 3) end
  return project
end

local function check(object, kind)
  if type(object) ~= "table" or object.kind ~= kind then error(kind .. " expected, got " .. tostring(object), 3) end
  if object.deleted then error(kind .. " was deleted", 3) end
  return object
end

local function number(value)
  if type(value) ~= "number" then error("number expected, got " .. type(value), 3) end
  return value
end

local function integer(value)
  if math.type(value) ~= "integer" and not (type(value) == "number" and value == math.floor(value)) then
    error("number has no integer representation", 3)
  end
  return math.tointeger(value)
end

local function text(value)
  if type(value) ~= "string" then error("string expected, got " .. type(value), 3) end
  return value
end

-- Values, with what a new object has.
local ITEM = {
  B_MUTE = 0, B_LOOPSRC = 1, C_BEATATTACHMODE = -1, C_AUTOSTRETCH = 0, C_LOCK = 0, D_VOL = 1, D_POSITION = 0,
  D_LENGTH = 0, D_SNAPOFFSET = 0, D_FADEINLEN = 0.01, D_FADEOUTLEN = 0.01, D_FADEINDIR = 0, D_FADEOUTDIR = 0,
  D_FADEINLEN_AUTO = -1, D_FADEOUTLEN_AUTO = -1, C_FADEINSHAPE = 0, C_FADEOUTSHAPE = 0, I_GROUPID = 0,
  I_CUSTOMCOLOR = 0,
}
local TAKE = {
  D_STARTOFFS = 0, D_VOL = 1, D_PAN = 0, D_PANLAW = -1, D_PLAYRATE = 1, D_PITCH = 0, B_PPITCH = 1, I_CHANMODE = 0,
  I_PITCHMODE = -1, I_STRETCHFLAGS = 0, F_STRETCHFADESIZE = 0.0025,
}
local TRACK = { I_FOLDERDEPTH = 0, I_CUSTOMCOLOR = 0, B_MUTE = 0, D_VOL = 1 }

local function with(defaults, given)
  local values = {}
  for name, value in pairs(defaults) do values[name] = value end
  for name, value in pairs(given or {}) do
    if defaults[name] ~= nil then values[name] = value end
  end
  return values
end

-- A WAV file's sample rate and length, from its header.
local function wave(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local bytes = file:read("a")
  file:close()
  if bytes:sub(1, 4) ~= "RIFF" then return nil end
  local place, rate, block, data = 13, nil, nil, nil
  while place + 8 <= #bytes + 1 do
    local name, size = bytes:sub(place, place + 3), string.unpack("<I4", bytes, place + 4)
    if name == "fmt " then
      rate = string.unpack("<I4", bytes, place + 12)
      block = string.unpack("<I2", bytes, place + 20)
    elseif name == "data" then
      data = size
    end
    place = place + 8 + size + size % 2
  end
  return rate, data / block / rate
end

local function file_source(path)
  local rate, length = wave(path)
  return { kind = "PCM_source*", type = "WAVE", path = path, rate = rate or 0, length = length or 0 }
end

-- Building a project.

function stub.track(given)
  local track = { kind = "MediaTrack*", name = given.name or "", guid = guid(), ext = {}, items = {},
                  values = with(TRACK, given), project = given.project or stub.project }
  table.insert(track.project.tracks, given.at or #track.project.tracks + 1, track)
  return track
end

function stub.section(source, offset, length, reversed)
  return { kind = "PCM_source*", type = "SECTION", parent = source, offset = offset, length = length,
           reversed = reversed or false, rate = source.rate, path = "" }
end

stub.file_source = file_source

function stub.item(track, given)
  local item = { kind = "MediaItem*", guid = guid(), ext = {}, track = track, takes = {},
                 selected = given.selected ~= false, values = with(ITEM, given) }
  if given.file or given.source then
    item.takes[1] = { kind = "MediaItem_Take*", item = item, name = given.name or "", midi = given.midi or false,
                      source = given.source or file_source(given.file), values = with(TAKE, given.take),
                      markers = given.markers or {}, envelopes = given.envelopes or 0, effects = given.effects or 0 }
  end
  track.items[#track.items + 1] = item
  return item
end

-- Undo: what everything was when a block began.
local function shallow(object)
  local copy = {}
  for name, value in pairs(object) do
    if type(value) == "table" and value.kind == nil then
      copy[name] = shallow(value)
    else
      copy[name] = value
    end
  end
  return copy
end

local function freeze(project)
  local kept = {}
  local function keep(object) kept[#kept + 1] = { object, shallow(object) } end
  keep(project)
  for _, track in ipairs(project.tracks) do
    keep(track)
    for _, item in ipairs(track.items) do
      keep(item)
      for _, take in ipairs(item.takes) do keep(take) end
    end
  end
  return function()
    for _, pair in ipairs(kept) do
      for name in pairs(pair[1]) do pair[1][name] = nil end
      for name, value in pairs(pair[2]) do pair[1][name] = value end
    end
  end
end

function stub.undo()
  local step = table.remove(stub.undo_stack)
  step.restore()
  return step.label
end


stub.guid, stub.with, stub.shallow, stub.freeze = guid, with, shallow, freeze
stub.ITEM, stub.TAKE, stub.TRACK = ITEM, TAKE, TRACK
stub.resolve, stub.check, stub.number, stub.integer, stub.text = resolve, check, number, integer, text

return stub
