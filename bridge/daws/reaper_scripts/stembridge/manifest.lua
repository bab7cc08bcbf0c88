-- `{track}.stems.json`, which lies beside rendered stems and says where they belong.

local json = require("stembridge.json")
local settings = require("stembridge.settings")

local manifest = {}

local NEWEST_SCHEMA = 1

local function folder_of(path)
  return path:match("^(.*)[/\\][^/\\]*$") or "."
end

local function as_path(folder, file)
  return settings.join(folder, (file:gsub("/", settings.separator)))
end

--- A manifest with the paths of its files in full, or nil and what is wrong with it.
function manifest.read(path)
  local text = settings.read_file(path)
  if not text then return nil, path .. " cannot be read" end
  local fine, data = pcall(json.decode, text)
  if not fine then return nil, ("%s: %s"):format(path, data) end
  if type(data) ~= "table" or type(data.schema) ~= "number" or type(data.files) ~= "table"
    or type(data.source) ~= "table" then
    return nil, path .. " does not list stems"
  end
  if data.schema > NEWEST_SCHEMA then
    return nil, path .. " was written by a newer stembridge: copy its scripts into REAPER again"
  end
  local folder = folder_of(path)
  for _, entry in ipairs(data.files) do entry.path = as_path(folder, entry.file) end
  data.path = path
  return data
end

-- The manifest that lists a file: in its folder, or in one of the two above (names may have folders).
local function listing(path)
  local folder = folder_of(path)
  for _ = 1, 3 do
    reaper.EnumerateFiles(folder, -1) -- look again: what it knows of a folder may be old
    local index = 0
    local name = reaper.EnumerateFiles(folder, index)
    while name and name ~= "" do
      if name:sub(-11) == ".stems.json" then
        local data = manifest.read(as_path(folder, name))
        for _, entry in ipairs(data and data.files or {}) do
          if entry.path == path then return data, entry end
        end
      end
      index = index + 1
      name = reaper.EnumerateFiles(folder, index)
    end
    folder = folder_of(folder)
  end
end

--- What there is to know of a rendered file to place it: `{stem=, path=, start_s=, gain_db=, source=}`.
function manifest.placed(stem, path)
  local data, entry = listing(path)
  if not data then return { stem = stem, path = path, start_s = 0, gain_db = 0 } end
  return {
    stem = stem, path = path, source = data.source.path,
    start_s = entry.start_frame / data.source.sample_rate, gain_db = entry.gain_db,
  }
end

--- The stems of the last render that a manifest lists, as `placed` gives them, and the song's path.
function manifest.stems(path)
  local data, why = manifest.read(path)
  if not data then return nil, why end
  local last = data.renders and data.renders[#data.renders]
  local stems = {}
  for _, entry in ipairs(data.files) do
    if last and entry.render == last.id and entry.kind ~= "mix" and reaper.file_exists(entry.path) then
      stems[#stems + 1] = {
        stem = entry.stem, path = entry.path, source = data.source.path,
        start_s = entry.start_frame / data.source.sample_rate, gain_db = entry.gain_db,
      }
    end
  end
  if #stems == 0 then return nil, path .. " lists no stems that are there" end
  return stems, data.source.path
end

return manifest
