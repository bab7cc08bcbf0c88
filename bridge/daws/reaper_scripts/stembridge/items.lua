-- What an item plays: which file, which part of it, and why that cannot be rendered where it cannot.

local settings = require("stembridge.settings")

local items = {}

local EPSILON_S = 1e-6

--- A position as people read it, for messages.
function items.clock(seconds)
  return reaper.format_timestr_pos(seconds, "", 0)
end

function items.guid(item)
  local _, guid = reaper.GetSetMediaItemInfo_String(item, "GUID", "", false)
  return guid
end

--- A file's name without folder and ending.
function items.stem_of_path(path)
  local name = path:match("[^/\\]+$") or path
  return name:match("^(.+)%.[^.]*$") or name
end

-- Walk from a section to the file below it: the file's source, and where the section begins in it.
local function unwrapped(source)
  local offset_s, length_s = 0, nil
  local parent = reaper.GetMediaSourceParent(source)
  while parent do
    local is_section, offset, length, reversed = reaper.PCM_Source_GetSectionInfo(source)
    if reversed then return nil, "it is reversed; glue it first (Item: Glue items)" end
    if is_section then
      offset_s = offset_s + offset
      length_s = length_s or length
    end
    source = parent
    parent = reaper.GetMediaSourceParent(source)
  end
  return source, nil, offset_s, length_s
end

local function source_of(item)
  local take = reaper.GetActiveTake(item)
  if not take then return nil, "it is empty: no take, nothing to hear" end
  if reaper.TakeIsMIDI(take) then return nil, "it is MIDI; render it to audio first (Item: Apply track FX)" end
  local source = reaper.GetMediaItemTake_Source(take)
  if not source then return nil, "its take has no source" end
  local root, why, offset_s, length_s = unwrapped(source)
  if not root then return nil, why end
  local kind = reaper.GetMediaSourceType(root, "")
  if kind == "RPP_PROJECT" then return nil, "it is a sub-project; render it to audio first" end
  local path = reaper.GetMediaSourceFileName(root, "")
  if path == "" then return nil, ("it plays no file (%s)"):format(kind) end
  if not reaper.file_exists(path) then return nil, "its file is missing: " .. path end
  local sample_rate = reaper.GetMediaSourceSampleRate(root)
  local file_s = reaper.GetMediaSourceLength(root)
  if kind:find("OFFLINE") or sample_rate <= 0 or file_s <= 0 then
    return nil, "its file is offline or cannot be read: " .. path
  end
  return { take = take, path = path, sample_rate = sample_rate, file_s = file_s,
           section_s = offset_s, span_s = length_s or file_s, is_section = length_s ~= nil }
end

--- What an item plays between two project times (none: all of it), or nil and why it cannot be rendered.
---
--- `first_s` and `last_s` are seconds in the file; both nil where all of the file is needed.
function items.read(item, from, to)
  local position = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
  local ends = position + reaper.GetMediaItemInfo_Value(item, "D_LENGTH")
  from, to = math.max(from or position, position), math.min(to or ends, ends)
  if to - from <= EPSILON_S then return nil, "no part of it is in the time selection" end
  local piece, why = source_of(item)
  if not piece then return nil, why end
  local take = piece.take
  local rate = reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE")
  local offset_s = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS")
  local first_s = offset_s + (from - position) * rate
  local last_s = offset_s + (to - position) * rate
  local outside = first_s < -EPSILON_S or last_s > piece.span_s + EPSILON_S
  local looped = outside and reaper.GetMediaItemInfo_Value(item, "B_LOOPSRC") == 1
  if looped and piece.is_section then return nil, "it repeats a section of its file; glue it first" end
  piece.item, piece.guid, piece.from, piece.to = item, items.guid(item), from, to
  piece.split = from > position + EPSILON_S or to < ends - EPSILON_S
  piece.looped = looped
  local _, name = reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", "", false)
  piece.name = name ~= "" and items.stem_of_path(name) or items.stem_of_path(piece.path)
  -- Where stretch markers are, what is played cannot be told from offset and rate.
  if looped or reaper.GetTakeNumStretchMarkers(take) > 0 then return piece end
  piece.first_s = math.max(first_s, 0) + piece.section_s
  piece.last_s = math.min(last_s, piece.span_s) + piece.section_s
  if piece.last_s - piece.first_s <= EPSILON_S then return nil, "it plays nothing of its file" end
  return piece
end

--- The selected items as pieces, and a list of what is wrong with the others.
function items.selected(project, from, to)
  local pieces, problems = {}, {}
  for index = 0, reaper.CountSelectedMediaItems(project) - 1 do
    local item = reaper.GetSelectedMediaItem(project, index)
    local piece, why = items.read(item, from, to)
    if piece then
      pieces[#pieces + 1] = piece
    else
      local at = items.clock(reaper.GetMediaItemInfo_Value(item, "D_POSITION"))
      problems[#problems + 1] = ("item at %s: %s"):format(at, why)
    end
  end
  return pieces, problems
end

local function overlap(spans)
  table.sort(spans, function(a, b) return a.first_s < b.first_s end)
  local merged = {}
  for _, span in ipairs(spans) do
    local last = merged[#merged]
    if last and span.first_s <= last.last_s then
      last.last_s = math.max(last.last_s, span.last_s)
      for _, piece in ipairs(span.pieces) do last.pieces[#last.pieces + 1] = piece end
    else
      merged[#merged + 1] = span
    end
  end
  return merged
end

--- The fewest renders that give every piece its stems with handles: `{path=, first=, last=, pieces=}`.
---
--- `first` and `last` are frames of the file; nil for all of it.
function items.renders(pieces, handles_s)
  local by_path, order = {}, {}
  for _, piece in ipairs(pieces) do
    local file = by_path[piece.path]
    if not file then
      file = { spans = {}, pieces = {}, whole = false }
      by_path[piece.path] = file
      order[#order + 1] = piece.path
    end
    file.pieces[#file.pieces + 1] = piece
    file.whole = file.whole or piece.first_s == nil
    if piece.first_s then
      file.spans[#file.spans + 1] = {
        first_s = math.max(piece.first_s - handles_s, 0),
        last_s = math.min(piece.last_s + handles_s, piece.file_s),
        pieces = { piece },
      }
    end
  end
  local renders = {}
  for _, path in ipairs(order) do
    local file = by_path[path]
    if file.whole then
      renders[#renders + 1] = { path = path, pieces = file.pieces }
    else
      for _, span in ipairs(overlap(file.spans)) do
        local piece = span.pieces[1]
        local frames = math.floor(piece.file_s * piece.sample_rate + 0.5)
        local first = math.floor(span.first_s * piece.sample_rate + EPSILON_S)
        local last = math.min(math.ceil(span.last_s * piece.sample_rate - EPSILON_S), frames)
        local render = { path = path, pieces = span.pieces }
        if first > 0 or last < frames then render.first, render.last = first, last end
        renders[#renders + 1] = render
      end
    end
  end
  return renders
end

--- All items of a project that play a file: the selected ones, or all when none of those does.
function items.playing(project, path)
  local selected, all = {}, {}
  for index = 0, reaper.CountMediaItems(project) - 1 do
    local item = reaper.GetMediaItem(project, index)
    local piece = items.read(item)
    if piece and items.same_path(piece.path, path) then
      all[#all + 1] = piece
      if reaper.IsMediaItemSelected(item) then selected[#selected + 1] = piece end
    end
  end
  return #selected > 0 and selected or all
end

--- Whether two paths name the same file, as far as their text tells.
function items.same_path(one, other)
  if not settings.windows then return one == other end
  return one:gsub("/", "\\"):lower() == other:gsub("/", "\\"):lower()
end

return items
