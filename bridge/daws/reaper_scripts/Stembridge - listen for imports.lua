-- Lets the bridge place stems here (`/stems/import`) and ask what is selected (`/render/selected`). Runs
-- until it is started a second time or REAPER ends.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])")
package.path = folder .. "?.lua;" .. package.path

local mailbox = require("stembridge.mailbox")
local settings = require("stembridge.settings")

local EVERY_S = 0.1

local _, _, section, command = reaper.get_action_context()
local place = settings.mailbox_folder()
local next_look = 0

local function shown(on)
  reaper.SetToggleCommandState(section, command, on and 1 or 0)
  reaper.RefreshToolbar2(section, command)
end

local function look()
  if reaper.time_precise() >= next_look then
    mailbox.look(place)
    next_look = reaper.time_precise() + EVERY_S
  end
  reaper.defer(look)
end

if reaper.set_action_options then reaper.set_action_options(1) end
shown(true)
reaper.atexit(function() shown(false) end)
look()
