-- Puts stems onto tracks below the item they come from, as that item sounds and lies: one undo step.

local items = require("stembridge.items")

local place = {}

local ORDER = { "drums", "bass", "other", "vocals", "guitar", "piano", "accompaniment", "residual" }

-- Colours that people who see no red or no green can tell apart (Okabe and Ito).
local COLOURS = {
  drums = { 230, 159, 0 }, bass = { 86, 180, 233 }, other = { 0, 158, 115 }, vocals = { 213, 94, 0 },
  guitar = { 240, 228, 66 }, piano = { 204, 121, 167 }, accompaniment = { 0, 114, 178 },
  residual = { 128, 128, 128 },
}

-- All that makes a stem's item lie and fade as its original does; how time is counted comes first.
local ITEM_VALUES = {
  "C_BEATATTACHMODE", "C_AUTOSTRETCH", "D_POSITION", "D_LENGTH", "D_SNAPOFFSET", "D_VOL",
  "D_FADEINLEN", "D_FADEOUTLEN", "D_FADEINDIR", "D_FADEOUTDIR", "D_FADEINLEN_AUTO", "D_FADEOUTLEN_AUTO",
  "C_FADEINSHAPE", "C_FADEOUTSHAPE",
}
local TAKE_VALUES = {
  "D_PLAYRATE", "B_PPITCH", "D_PITCH", "I_PITCHMODE", "I_STRETCHFLAGS", "F_STRETCHFADESIZE",
  "D_PAN", "D_PANLAW", "I_CHANMODE",
}
local TRACK_MARK, ITEM_MARK = "P_EXT:stembridge_stem", "P_EXT:stembridge_item"
local COVERS_S = 1e-4

local function rank(stem)
  for index, name in ipairs(ORDER) do
    if name == stem then return index end
  end
  return #ORDER + 1
end

local function sorted(stems)
  local list = { table.unpack(stems) }
  table.sort(list, function(a, b)
    if rank(a.stem) ~= rank(b.stem) then return rank(a.stem) < rank(b.stem) end
    return a.stem < b.stem
  end)
  return list
end

local function track_guid(track)
  local _, guid = reaper.GetSetMediaTrackInfo_String(track, "GUID", "", false)
  return guid
end

local function marked(object_string, object, mark)
  local _, value = object_string(object, mark, "", false)
  return value
end

-- The track of a stem that an earlier run made for the same source track, wherever it is now.
local function made_earlier(project, mark)
  for index = 0, reaper.CountTracks(project) - 1 do
    local track = reaper.GetTrack(project, index)
    if marked(reaper.GetSetMediaTrackInfo_String, track, TRACK_MARK) == mark then return track end
  end
end

-- A new track below another, in the same folder; nil for the other: at the end of the project.
local function track_below(project, above)
  local index = reaper.CountTracks(project)
  if above then index = math.floor(reaper.GetMediaTrackInfo_Value(above, "IP_TRACKNUMBER")) end
  reaper.InsertTrackAtIndex(index, true)
  local track = reaper.GetTrack(project, index)
  local depth = above and reaper.GetMediaTrackInfo_Value(above, "I_FOLDERDEPTH") or 0
  if depth < 0 then
    -- The folder ended with the track above: now it ends with this one.
    reaper.SetMediaTrackInfo_Value(above, "I_FOLDERDEPTH", 0)
    reaper.SetMediaTrackInfo_Value(track, "I_FOLDERDEPTH", depth)
  end
  return track
end

local function stem_track(project, source_track, above, stem, song)
  local mark = (source_track and track_guid(source_track) or song) .. "|" .. stem
  local track = made_earlier(project, mark)
  if track then return track end
  track = track_below(project, above)
  reaper.GetSetMediaTrackInfo_String(track, TRACK_MARK, mark, true)
  reaper.GetSetMediaTrackInfo_String(track, "P_NAME", stem .. " - " .. song, true)
  local colour = COLOURS[stem]
  if colour then
    local native = reaper.ColorToNative(colour[1], colour[2], colour[3]) | 0x1000000
    reaper.SetMediaTrackInfo_Value(track, "I_CUSTOMCOLOR", native)
  end
  return track
end

-- What earlier runs put there for the same item: the new stems take its place.
local function remove_earlier(track, guid)
  for index = reaper.CountTrackMediaItems(track) - 1, 0, -1 do
    local item = reaper.GetTrackMediaItem(track, index)
    if marked(reaper.GetSetMediaItemInfo_String, item, ITEM_MARK) == guid then
      reaper.DeleteTrackMediaItem(track, item)
    end
  end
end

local function free_group(project)
  local highest = 0
  for index = 0, reaper.CountMediaItems(project) - 1 do
    local item = reaper.GetMediaItem(project, index)
    highest = math.max(highest, reaper.GetMediaItemInfo_Value(item, "I_GROUPID"))
  end
  return math.floor(highest) + 1
end

local function copy_stretch_markers(from, to, shift_s)
  for index = 0, reaper.GetTakeNumStretchMarkers(from) - 1 do
    local _, position, source_position = reaper.GetTakeStretchMarker(from, index)
    local slope = reaper.GetTakeStretchMarkerSlope(from, index)
    local made = reaper.SetTakeStretchMarker(to, -1, position, source_position + shift_s)
    if slope ~= 0 then reaper.SetTakeStretchMarkerSlope(to, made, slope) end
  end
end

local function new_item(track, source, name, mark)
  local item = reaper.AddMediaItemToTrack(track)
  local take = reaper.AddTakeToMediaItem(item)
  reaper.SetMediaItemTake_Source(take, source)
  reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", name, true)
  reaper.GetSetMediaItemInfo_String(item, ITEM_MARK, mark, true)
  return item, take
end

local function stem_item(track, stem, piece, group)
  local original, old = piece.item, piece.take
  local item, take = new_item(track, stem.pcm, stem.stem .. " - " .. piece.name, piece.guid)
  for _, value in ipairs(ITEM_VALUES) do
    reaper.SetMediaItemInfo_Value(item, value, reaper.GetMediaItemInfo_Value(original, value))
  end
  for _, value in ipairs(TAKE_VALUES) do
    reaper.SetMediaItemTakeInfo_Value(take, value, reaper.GetMediaItemTakeInfo_Value(old, value))
  end
  -- Seconds of the original's source to seconds of the stem's file.
  local shift_s = piece.section_s - stem.start_s
  local offset_s = reaper.GetMediaItemTakeInfo_Value(old, "D_STARTOFFS")
  reaper.SetMediaItemTakeInfo_Value(take, "D_STARTOFFS", offset_s + shift_s)
  -- A negative volume is a flipped polarity, and stays one. A common gain that kept integer files from
  -- clipping is taken back here.
  local volume = reaper.GetMediaItemTakeInfo_Value(old, "D_VOL")
  reaper.SetMediaItemTakeInfo_Value(take, "D_VOL", volume * 10 ^ (-stem.gain_db / 20))
  copy_stretch_markers(old, take, shift_s)
  -- A part of a file must not come round again where its handle ends.
  reaper.SetMediaItemInfo_Value(item, "B_LOOPSRC", piece.looped and 1 or 0)
  reaper.SetMediaItemInfo_Value(item, "I_GROUPID", group)
  reaper.UpdateItemInProject(item)
end

-- Cut an item to what was asked for; its rest keeps playing.
local function cut(piece)
  if not piece.split then return end
  local item, guid = piece.item, piece.guid
  local position = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
  if piece.from > position + 1e-6 then
    item = reaper.SplitMediaItem(item, piece.from)
    guid = items.guid(item)
  end
  local ends = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
    + reaper.GetMediaItemInfo_Value(item, "D_LENGTH")
  if piece.to < ends - 1e-6 then reaper.SplitMediaItem(item, piece.to) end
  piece.item, piece.guid, piece.take = item, guid, reaper.GetActiveTake(item)
end

local function onto_tracks(project, placement)
  local piece = placement.piece
  local source_track = piece and reaper.GetMediaItem_Track(piece.item)
  local song = placement.song
  if source_track then
    local _, name = reaper.GetSetMediaTrackInfo_String(source_track, "P_NAME", "", false)
    song = name ~= "" and name or piece.name
  end
  local group = 0
  if piece then
    cut(piece)
    group = math.floor(reaper.GetMediaItemInfo_Value(piece.item, "I_GROUPID"))
  end
  if group == 0 then group = free_group(project) end
  local above = source_track
  for _, stem in ipairs(sorted(placement.stems)) do
    local track = stem_track(project, source_track, above, stem.stem, song)
    above = track
    if piece then
      remove_earlier(track, piece.guid)
      stem_item(track, stem, piece, group)
    else
      local item, take = new_item(track, stem.pcm, stem.stem .. " - " .. song, song)
      reaper.SetMediaItemInfo_Value(item, "D_POSITION", placement.position)
      reaper.SetMediaItemInfo_Value(item, "D_LENGTH", (reaper.GetMediaSourceLength(stem.pcm)))
      reaper.SetMediaItemInfo_Value(item, "B_LOOPSRC", 0)
      reaper.SetMediaItemInfo_Value(item, "I_GROUPID", group)
      reaper.SetMediaItemTakeInfo_Value(take, "D_VOL", 10 ^ (-stem.gain_db / 20))
    end
  end
  if piece then
    reaper.SetMediaItemInfo_Value(piece.item, "B_MUTE", 1)
    reaper.SetMediaItemInfo_Value(piece.item, "I_GROUPID", group)
    reaper.UpdateItemInProject(piece.item)
  end
end

-- Open every stem's file before anything is changed, and see that it holds what the item plays.
local function opened(placement)
  local stems = {}
  for index, stem in ipairs(placement.stems) do
    stems[index] = { stem = stem.stem, path = stem.path, start_s = stem.start_s, gain_db = stem.gain_db }
  end
  placement.stems = stems
  for _, stem in ipairs(stems) do
    stem.pcm = reaper.file_exists(stem.path) and reaper.PCM_Source_CreateFromFile(stem.path) or nil
    if not stem.pcm then return nil, "REAPER cannot open " .. stem.path end
    local piece = placement.piece
    if piece then
      local length_s = reaper.GetMediaSourceLength(stem.pcm)
      local first_s, last_s = piece.first_s or 0, piece.last_s or piece.file_s
      if first_s < stem.start_s - COVERS_S or last_s > stem.start_s + length_s + COVERS_S then
        return nil, ("%s: it plays %.3f to %.3f s of its file, the stems hold %.3f to %.3f s; render it again")
          :format(piece.name, first_s, last_s, stem.start_s, stem.start_s + length_s)
      end
    end
  end
  return true
end

--- Place stems: a list of `{stems=, piece=}` (or `{stems=, song=, position=}` where no item is theirs).
---
--- Returns how many placements there are, and a list of what could not be placed.
function place.all(project, placements, label)
  local good, problems = {}, {}
  for _, placement in ipairs(placements) do
    local fine, why = opened(placement)
    if fine then
      good[#good + 1] = placement
    else
      problems[#problems + 1] = why
      for _, stem in ipairs(placement.stems) do
        if stem.pcm then reaper.PCM_Source_Destroy(stem.pcm) end
      end
    end
  end
  if #good == 0 then return 0, problems end
  -- Tracks can be inserted into the project in front only.
  local shown = reaper.EnumProjects(-1)
  if shown ~= project then reaper.SelectProjectInstance(project) end
  reaper.Undo_BeginBlock2(project)
  reaper.PreventUIRefresh(1)
  local fine, why = pcall(function()
    for _, placement in ipairs(good) do onto_tracks(project, placement) end
  end)
  reaper.PreventUIRefresh(-1)
  reaper.TrackList_AdjustWindows(false)
  reaper.Undo_EndBlock2(project, label, -1)
  reaper.Main_OnCommand(40047, 0) -- Peaks: Build any missing peaks
  reaper.UpdateArrange()
  if shown ~= project then reaper.SelectProjectInstance(shown) end
  if not fine then error(why, 0) end
  return #good, problems
end

--- What the stems of a file belong to in a project: its items, else a new place at the edit cursor.
function place.wanted(project, stems, path)
  local placements = {}
  for _, piece in ipairs(items.playing(project, path)) do
    placements[#placements + 1] = { stems = stems, piece = piece }
  end
  if #placements == 0 then
    placements[1] = {
      stems = stems, song = items.stem_of_path(path), position = reaper.GetCursorPositionEx(project),
    }
  end
  return placements
end

return place
