-- Places the stems of the last render again: in another project, or after undoing. Without one, asks for a
-- `.stems.json`, which lies beside every render, also of the command line.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])")
package.path = folder .. "?.lua;" .. package.path

local json = require("stembridge.json")
local manifest = require("stembridge.manifest")
local place = require("stembridge.place")
local settings = require("stembridge.settings")

local function chosen()
  local fine, path = reaper.GetUserFileNameForRead("", "Stems to place: a .stems.json", "json")
  if not fine then return {} end
  local stems, source = manifest.stems(path)
  if not stems then
    reaper.MB(source, "Stembridge", 0)
    return {}
  end
  return { { source = source, stems = stems } }
end

local function last()
  local fine, jobs = pcall(json.decode, settings.get("last", "[]"))
  return fine and jobs or {}
end

local project = reaper.EnumProjects(-1)
local jobs = last()
if #jobs == 0 then jobs = chosen() end
local placements = {}
for _, job in ipairs(jobs) do
  for _, placement in ipairs(place.wanted(project, job.stems, job.source)) do
    placements[#placements + 1] = placement
  end
end
if #placements > 0 then
  local _, problems = place.all(project, placements, "Stembridge: stems of the last job")
  if #problems > 0 then reaper.MB(table.concat(problems, "\n"), "Stembridge", 0) end
end
