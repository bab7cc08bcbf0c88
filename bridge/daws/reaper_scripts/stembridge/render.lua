-- Renders what the selected items play and puts the stems below them; REAPER stays usable meanwhile.

local items = require("stembridge.items")
local json = require("stembridge.json")
local manifest = require("stembridge.manifest")
local place = require("stembridge.place")
local process = require("stembridge.process")
local settings = require("stembridge.settings")
local window = require("stembridge.window")

local render = {}

local TITLE = "Stembridge"
local OK, OK_CANCEL = 0, 1
local QUIET_S = 30
local CANCEL_S = 10

local run = {}
run.__index = run

local function listed(lines)
  local shown = { table.unpack(lines, 1, 8) }
  if #lines > 8 then shown[#shown + 1] = ("and %d more"):format(#lines - 8) end
  return table.concat(shown, "\n")
end

-- Every text as a text (`s:`), whatever it looks like.
local function request(tag, job)
  local words = { "/render", "s:" .. tag, "s:" .. job.path }
  local function add(...)
    for _, word in ipairs({ ... }) do words[#words + 1] = "s:" .. word end
  end
  local preset, model = settings.get("preset"), settings.get("model")
  if preset then add(preset) end
  if model then add("model", model) end
  if job.first then add("start", job.first .. "s", "end", job.last .. "s") end
  words[#words + 1] = "--wait"
  words[#words + 1] = "/job/done"
  return words
end

--- Start for the selected items; `in_time_selection` renders only what lies in it.
function render.selected(in_time_selection)
  local project = reaper.EnumProjects(-1)
  local from, to
  if in_time_selection then
    from, to = reaper.GetSet_LoopTimeRange2(project, false, false, 0, 0, false)
    if to <= from then
      reaper.MB("There is no time selection: drag one over the items, then run this again.", TITLE, OK)
      return
    end
  end
  local pieces, problems = items.selected(project, from, to)
  if #pieces == 0 then
    local text = #problems > 0 and "Nothing here can be rendered:\n\n" .. listed(problems)
      or "No item is selected: select one or more audio items, then run this again."
    reaper.MB(text, TITLE, OK)
    return
  end
  if #problems > 0 then
    local text = ("These cannot be rendered:\n\n%s\n\nGo on with the other %d?"):format(listed(problems), #pieces)
    if reaper.MB(text, TITLE, OK_CANCEL) ~= 1 then return end
  end
  local self = setmetatable({
    project = project, jobs = items.renders(pieces, settings.handles_s()), number = 0,
    placements = {}, problems = {}, last = {}, tag = ("reaper-%d"):format(math.floor(reaper.time_precise() * 1000)),
  }, run)
  window.open()
  reaper.atexit(function() self:clean() end)
  self:next_job()
  reaper.defer(function() self:step() end)
end

function run:next_job()
  self:clean()
  self.number = self.number + 1
  self.job = self.jobs[self.number]
  if not self.job then return end
  self.id, self.stems, self.stage, self.fraction, self.again = nil, {}, "waiting for the bridge", nil, false
  self:ask()
end

function run:ask()
  local why
  self.sending, why = process.send(request(("%s-%d"):format(self.tag, self.number), self.job))
  self.heard_at = reaper.time_precise()
  if not self.sending then self:fail(why) end
end

function run:fail(why)
  self.problems[#self.problems + 1] = ("%s: %s"):format(items.stem_of_path(self.job.path), why)
  self:next_job()
end

-- One look at things, some 30 times a second.
function run:step()
  if not self.job then return self:finish() end
  for _, message in ipairs(self.sending:messages()) do self:take(message) end
  local code = self.sending:exit_code()
  local cancelling = self.cancelling and not self.cancelling:exit_code() and self:cancel_lasts()
  if code and not cancelling then
    for _, message in ipairs(self.sending:messages()) do self:take(message) end
    if not self:ended(code) then return end
  elseif not self:shown() then
    return
  end
  reaper.defer(function() self:step() end)
end

function run:take(message)
  local a = message.arguments
  self.heard_at = reaper.time_precise()
  if message.address == "/job/accepted" then
    self.id, self.stage = a[2], a[3] > 0 and ("queued behind %d"):format(a[3]) or "started"
  elseif a[1] ~= self.id then
    return -- of a job that somebody else asked for
  elseif message.address == "/job/progress" then
    self.stage, self.fraction, self.eta_s = a[3], a[4], a[5]
  elseif message.address == "/job/stem" then
    self.stems[a[3]] = { stem = a[4], path = a[5] }
  elseif message.address == "/job/done" then
    self.count = a[3]
  elseif message.address == "/job/failed" then
    self.failed = ("%s (%s)"):format(a[4], a[3])
  end
end

-- The program has ended; false when nothing more is to be done.
function run:ended(code)
  if self.cancelled then return self:abandon() end
  if process.NOT_FOUND[code] then return self:no_program() end
  local stems = {}
  for _, stem in pairs(self.stems) do stems[#stems + 1] = stem end
  if code == 0 and #stems == 0 and not self.again then
    -- Datagrams may be lost. The same tag is the same job: it is only told of once more.
    self.again = true
    self.sending:forget()
    self:ask()
    return true
  end
  if code ~= 0 or #stems == 0 then
    local why = self.failed or self.sending:complaint()
    self.failed = nil
    self:fail(why ~= "" and why or ("stembridge ended with code %d and no word"):format(code))
    return true
  end
  for index, stem in ipairs(stems) do stems[index] = manifest.placed(stem.stem, stem.path) end
  for _, piece in ipairs(self.job.pieces) do
    self.placements[#self.placements + 1] = {
      stems = stems, guid = piece.guid, from = piece.split and piece.from, to = piece.split and piece.to,
    }
  end
  self.last[#self.last + 1] = { source = self.job.path, stems = stems }
  self:next_job()
  return true
end

-- The window; false when nothing more is to be done.
function run:shown()
  if self.cancelled then
    if not self:cancel_lasts() then return self:abandon() end
    if self.id and not self.cancelling then
      self.cancelling = process.send({ "/job/cancel", ("i:%d"):format(self.id) })
    end
    return true
  end
  local quiet = reaper.time_precise() - self.heard_at
  local second = self.stage
  if quiet > QUIET_S then
    second = ("%s; no word for %d s"):format(second, math.floor(quiet))
  elseif self.fraction then
    second = ("%s: %d %%"):format(second, math.floor(100 * self.fraction))
    if self.eta_s and self.eta_s >= 0 then second = ("%s, %d s left"):format(second, math.ceil(self.eta_s)) end
  end
  local first = items.stem_of_path(self.job.path)
  if #self.jobs > 1 then first = ("%d of %d: %s"):format(self.number, #self.jobs, first) end
  if not window.show(first, second, self.fraction) then self.cancelled = reaper.time_precise() end
  return true
end

function run:cancel_lasts()
  return reaper.time_precise() - self.cancelled <= CANCEL_S
end

function run:abandon()
  self:clean()
  window.close()
  return false
end

function run:no_program()
  self:clean()
  window.close()
  render.ask_for_program()
  return false
end

--- Ask where the program is, once; it is kept.
function render.ask_for_program()
  local text = "The program `stembridge` is not where programs are looked for.\n\n"
    .. "Choose it in the next window (`which stembridge`, or `where stembridge` on Windows, prints where "
    .. "it is), then run this again."
  if reaper.MB(text, TITLE, OK_CANCEL) ~= 1 then return end
  local chosen, path = reaper.GetUserFileNameForRead(settings.get("program", ""), "stembridge", "")
  if chosen then settings.set("program", path) end
end

-- The items may have been moved, cut or deleted while the render ran: what they play is read again.
function run:found_again(placement)
  for index = 0, reaper.CountMediaItems(self.project) - 1 do
    local item = reaper.GetMediaItem(self.project, index)
    if items.guid(item) == placement.guid then
      return items.read(item, placement.from or nil, placement.to or nil)
    end
  end
  return nil, "an item was deleted while it was rendered"
end

function run:finish()
  window.close()
  local problems = self.problems
  if #self.placements > 0 then
    settings.set("last", json.encode(self.last))
    if not reaper.ValidatePtr(self.project, "ReaProject*") then
      problems[#problems + 1] = "The project was closed while it was rendered. “Stembridge - import stems of "
        .. "last job” places the stems in another."
    else
      self:place(problems)
    end
  end
  if #problems > 0 then reaper.MB(listed(problems), TITLE, OK) end
end

function run:place(problems)
  local placements = {}
  for _, placement in ipairs(self.placements) do
    local piece, why = self:found_again(placement)
    if piece then
      placements[#placements + 1] = { stems = placement.stems, piece = piece }
    else
      problems[#problems + 1] = why
    end
  end
  local label = #placements == 1 and "Stembridge: stems of 1 item"
    or ("Stembridge: stems of %d items"):format(#placements)
  local placed, wrong = place.all(self.project, placements, label)
  for _, why in ipairs(wrong) do problems[#problems + 1] = why end
  if placed == 0 then return end
  for _, note in ipairs(render.notes(placements)) do problems[#problems + 1] = note end
  local _, file = reaper.EnumProjects(-1)
  if file == "" then
    problems[#problems + 1] = "Note: this project is not saved yet. Its stems are at "
      .. placements[1].stems[1].path:match("^(.*)[/\\]")
      .. "; save it with “Copy all media into project directory” to have them beside it."
  end
end

--- What the stems do not have of their originals, said once.
function render.notes(placements)
  local envelopes, effects = 0, 0
  for _, placement in ipairs(placements) do
    if placement.piece then
      envelopes = envelopes + reaper.CountTakeEnvelopes(placement.piece.take)
      effects = effects + reaper.TakeFX_GetCount(placement.piece.take)
    end
  end
  local notes = {}
  if envelopes > 0 then notes[#notes + 1] = "Note: take envelopes of the items were not copied to their stems." end
  if effects > 0 then notes[#notes + 1] = "Note: take effects of the items were not copied to their stems." end
  return notes
end

function run:clean()
  for _, sending in ipairs({ self.sending or false, self.cancelling or false }) do
    if sending then sending:forget() end
  end
  self.sending, self.cancelling = nil, nil
end

return render
