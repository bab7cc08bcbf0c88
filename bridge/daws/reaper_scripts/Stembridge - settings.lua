-- Asks for what the other scripts need to know.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])")
package.path = folder .. "?.lua;" .. package.path

local settings = require("stembridge.settings")

local NAMES = { "program", "port", "model", "preset", "handles", "folder" }
local CAPTIONS = {
  "Program (empty: stembridge on PATH)", "Port of the bridge (empty: as configured)",
  "Model (empty: the default)", "Preset (empty: stems alone)", "Handles around items (s)",
  "Folder for imports (empty: the usual)",
}

local values = {}
for index, name in ipairs(NAMES) do values[index] = settings.get(name, name == "handles" and "1" or "") end
local fine, answers = reaper.GetUserInputs(
  "Stembridge", #NAMES, table.concat(CAPTIONS, ",") .. ",extrawidth=260,separator=\n", table.concat(values, "\n")
)
if fine then
  local index = 0
  for answer in (answers .. "\n"):gmatch("(.-)\n") do
    index = index + 1
    if NAMES[index] then settings.set(NAMES[index], (answer:gsub("^%s+", ""):gsub("%s+$", ""))) end
  end
end
