-- The bridge's requests to REAPER, through files: REAPER's Lua has no sockets.

local items = require("stembridge.items")
local json = require("stembridge.json")
local manifest = require("stembridge.manifest")
local place = require("stembridge.place")
local settings = require("stembridge.settings")

local mailbox = {}

local function refused(code, text)
  return { ok = false, code = code, text = text }
end

local actions = {}

actions["import"] = function(request)
  local project = reaper.EnumProjects(-1)
  local stems, source = {}, nil
  for index, stem in ipairs(request.stems) do
    stems[index] = manifest.placed(stem.stem, stem.path)
    source = source or stems[index].source
  end
  if #stems == 0 then return refused("not_found", "the job has no stems to place") end
  local song = source or request.stems[1].track:match("^%S+ %- (.+)$") or "stems"
  local label = ("Stembridge: stems of job %d"):format(request.job)
  local placed, problems = place.all(project, place.wanted(project, stems, song), label)
  if placed == 0 then return refused("internal", table.concat(problems, "; ")) end
  return { ok = true, stems = #stems }
end

actions["selected"] = function(_)
  local project = reaper.EnumProjects(-1)
  local pieces, problems = items.selected(project)
  if #pieces == 0 then
    return refused("not_found", problems[1] or "no item is selected in REAPER")
  end
  local piece = pieces[1]
  return { ok = true, path = piece.path, name = piece.name, start_s = piece.first_s, end_s = piece.last_s }
end

local function answer(folder, request, content)
  content.id = request.id
  local path = settings.join(folder, "answer.json")
  settings.write_file(path .. ".part", json.encode(content))
  os.remove(path)
  os.rename(path .. ".part", path)
end

--- Carry out the request that waits in a folder, if one does; true when it did.
function mailbox.look(folder)
  local waiting, taken = settings.join(folder, "request.json"), settings.join(folder, "taken.json")
  if not settings.read_file(waiting) then return false end
  os.remove(taken)
  if not os.rename(waiting, taken) then return false end -- another REAPER was quicker
  local fine, request = pcall(json.decode, settings.read_file(taken) or "")
  if not fine or type(request) ~= "table" or type(request.id) ~= "string" then return false end
  local action = actions[request.action]
  if not action then
    answer(folder, request, refused("internal", "REAPER's scripts are older than the bridge: copy them again"))
    return true
  end
  local done, result = pcall(action, request)
  answer(folder, request, done and result or refused("internal", "REAPER's script failed: " .. tostring(result)))
  return true
end

return mailbox
