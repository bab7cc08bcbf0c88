-- Carries out what the bridge has asked for in the file `request` of a folder, and answers in `answer`.
-- Both are lines of fields with tabs between them; neither is read before it is complete.

local folder = ...

local COLOURS = {
  vocals = 0xd9534fff, drums = 0xe0a030ff, bass = 0x4f7fd9ff, other = 0x5fae6fff,
  guitar = 0xb07050ff, piano = 0x8f6fc0ff, accompaniment = 0x5fa8aeff, residual = 0x808080ff,
}

-- What is asked for: `request.id`, and lists of the fields of all lines of a kind: `request.track[1][2]`.
local function read_request ()
  local path = folder .. "/request"
  if not os.rename (path, folder .. "/taken") then return nil end -- two Ardours: one of them takes it
  local request = { song = {}, name = {}, track = {} }
  for line in io.lines (folder .. "/taken") do
    local fields = {}
    for field in (line .. "\t"):gmatch ("([^\t]*)\t") do fields[#fields + 1] = field end
    local kind = table.remove (fields, 1)
    request[kind] = request[kind] or {}
    table.insert (request[kind], fields)
  end
  return request
end

local function write_answer (lines)
  local file = assert (io.open (folder .. "/answer.part", "wb"))
  for _, fields in ipairs (lines) do file:write (table.concat (fields, "\t"), "\n") end
  file:close ()
  os.rename (folder .. "/answer.part", folder .. "/answer")
end

-- Ends a request with one of the bridge's codes and a sentence.
local function refuse (code, text) error ({ code = code, text = text }, 0) end

local function samples (time) return time:samples () end

local function each_region (visit)
  for route in Session:get_tracks ():iter () do
    for region in route:to_track ():playlist ():region_list ():iter () do
      if not region:to_audioregion ():isnil () then visit (region, route) end
    end
  end
end

local function file_of (region)
  return region:source (0):to_filesource ()
end

-- The song's name in the name of one of Ardour's copies of it: "Song-2%L.wav" is of "Song".
local function is_copy_of (song, source)
  local name = source:name ():gsub ("%.%w+$", ""):gsub ("%%[LR]$", "")
  return name == song or name:gsub ("%-%d+$", "") == song
end

-- The region that plays the song: a selected one, or else the first that is heard, or else the first.
local function song_region (request)
  local songs, chosen = {}, {}
  for _, fields in ipairs (request.song) do songs[fields[1]] = true end
  local name, seconds = table.unpack (request.name[1] or {})
  local length = seconds and tonumber (seconds) * Session:nominal_sample_rate ()
  for region in Editor:get_selection ().regions:regionlist ():iter () do
    chosen[region:to_stateful ():id ():to_s ()] = true
  end
  local best, best_rank
  each_region (function (region)
    local file = file_of (region)
    if file:isnil () then return end
    local source = region:source (0)
    local is = songs[file:path ()] or songs[file:origin ()]
      or (length and is_copy_of (name, source) and math.abs (samples (source:length ()) - length) < 2)
    if not is then return end
    local rank = (chosen[region:to_stateful ():id ():to_s ()] and 4 or 0) + (region:muted () and 0 or 2)
    if not best or rank > best_rank
      or (rank == best_rank and samples (region:position ()) < samples (best:position ())) then
      best, best_rank = region, rank
    end
  end)
  return best
end

-- Imports files as tracks of their own at a sample; returns the new routes in the order of the files.
local function import (paths, at)
  local known = {}
  for route in Session:get_tracks ():iter () do known[route:to_stateful ():id ():to_s ()] = true end
  local files = C.StringVector ()
  for _, path in ipairs (paths) do files:push_back (path) end
  Editor:do_import (files, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
    ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
    Temporal.timepos_t (at), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
  local made = {}
  for route in Session:get_tracks ():iter () do
    if not known[route:to_stateful ():id ():to_s ()] then made[#made + 1] = route end
  end
  table.sort (made, function (one, other)
    return one:presentation_info_ptr ():order () < other:presentation_info_ptr ():order ()
  end)
  return made
end

local function changed (region, change)
  region:to_stateful ():clear_changes ()
  change ()
  Session:add_stateful_diff_command (region:to_statefuldestructible ())
end

local function import_stems (request)
  if Session:actively_recording () then refuse ("busy", "Ardour is recording: import when it has stopped") end
  local song, paths, stems = song_region (request), {}, {}
  for index, fields in ipairs (request.track) do stems[index], paths[index] = fields[1], fields[2] end
  local start_s, gain = tonumber (request.start_s[1][1]), tonumber (request.gain[1][1])
  local at = math.floor (start_s * Session:nominal_sample_rate () + 0.5)
  local from, to = 0, nil -- where the clip of the song lies; nil: there is none
  if song then
    from = samples (song:position ())
    to = from + samples (song:length ())
    at = at + from - samples (song:start ())
    gain = gain * song:to_audioregion ():scale_amplitude ()
  end
  local routes = import (paths, math.max (at, 0))
  if #routes ~= #paths then
    refuse ("internal", ("Ardour made %d tracks of %d stems; its log says why"):format (#routes, #paths))
  end
  local answer = {}
  -- The tracks themselves Ardour cannot take back; one undo brings the song's region back.
  Session:begin_reversible_command ("Stembridge: stems onto tracks")
  for index, route in ipairs (routes) do
    route:presentation_info_ptr ():set_color (COLOURS[stems[index]] or COLOURS.residual)
    for region in route:to_track ():playlist ():region_list ():iter () do
      changed (region, function ()
        region:to_audioregion ():set_scale_amplitude (gain)
        -- A clip is more than its file: its handles stay outside, within reach of its edges.
        local ends = at + samples (region:length ())
        if not to or at >= to or ends <= from then return end
        if at < from then
          region:trim_front (Temporal.timepos_t (math.max (at, 0) + from - at))
          if at < 0 then region:set_position (Temporal.timepos_t (from)) end
        end
        if ends > to then region:trim_end (Temporal.timepos_t (to)) end
      end)
    end
    answer[index] = { "track", route:name () }
  end
  if song then changed (song, function () song:set_muted (true) end) end
  if not Session:abort_empty_reversible_command () then Session:commit_reversible_command (nil) end
  return answer
end

local function selected_clip ()
  local found
  for region in Editor:get_selection ().regions:regionlist ():iter () do
    if found then refuse ("not_found", "several regions are selected in Ardour: select the one to render") end
    found = region
  end
  if not found then refuse ("not_found", "no region is selected in Ardour: select the one to render") end
  local audio = found:to_audioregion ()
  if audio:isnil () then refuse ("not_found", "the region that is selected in Ardour is not audio") end
  local rate = Session:nominal_sample_rate ()
  local start = samples (found:start ())
  local answer = {
    { "name", found:name () },
    { "range", ("%.9f"):format (start / rate), ("%.9f"):format ((start + samples (found:length ())) / rate) },
  }
  for channel = 0, audio:n_channels () - 1 do
    local file = found:source (channel):to_filesource ()
    if file:isnil () then refuse ("not_found", "the region that is selected in Ardour has no file") end
    answer[#answer + 1] = { "source", file:path (), tostring (file:channel ()) }
  end
  return answer
end

local request = read_request ()
if not request then return end
local actions = { import = import_stems, selected = selected_clip }
local answer = { { "id", request.id[1][1] } }
local fine, result = pcall (function () return actions[request.action[1][1]] (request) end)
if fine then
  for _, fields in ipairs (result) do answer[#answer + 1] = fields end
elseif type (result) == "table" then
  answer[#answer + 1] = { "refused", result.code, result.text }
else
  answer[#answer + 1] = { "refused", "internal", (tostring (result):gsub ("[\t\r\n]", " ")) }
end
write_answer (answer)
