-- What the scripts keep between runs, in REAPER's own settings, and the folders they use.

local settings = {}

local SECTION = "Stembridge"

settings.windows = reaper.GetOS():find("^Win") ~= nil
settings.separator = settings.windows and "\\" or "/"

--- A setting as text, or what it is while nobody has set it.
function settings.get(name, otherwise)
  local value = reaper.GetExtState(SECTION, name)
  return value ~= "" and value or otherwise
end

--- Keep a setting for good; an empty text forgets it.
function settings.set(name, value)
  if value == "" then
    reaper.DeleteExtState(SECTION, name, true)
  else
    reaper.SetExtState(SECTION, name, value, true)
  end
end

--- How much is rendered before and after what an item plays, in seconds, so that it can be pulled longer.
function settings.handles_s()
  local seconds = tonumber(settings.get("handles", "1"))
  return seconds and seconds >= 0 and seconds or 1
end

function settings.join(...)
  return table.concat({ ... }, settings.separator)
end

--- A folder of ours below REAPER's; made when it is not there.
function settings.scratch_folder()
  local folder = settings.join(reaper.GetResourcePath(), "Data", "Stembridge")
  reaper.RecursiveCreateDirectory(folder, 0)
  return folder
end

--- Where the bridge leaves requests: the folder its `--daw reaper` uses when nothing else is said.
function settings.mailbox_folder()
  local set = settings.get("folder")
  if set then return set end
  local home = os.getenv("HOME") or ""
  local data
  if settings.windows then
    data = os.getenv("LOCALAPPDATA") or settings.join(os.getenv("USERPROFILE") or "", "AppData", "Local")
  elseif reaper.GetOS():find("OSX") or reaper.GetOS():find("macOS") then
    data = home .. "/Library/Application Support"
  else
    data = os.getenv("XDG_DATA_HOME")
    if not data or data == "" then data = home .. "/.local/share" end
  end
  return settings.join(data, "stembridge", "reaper")
end

--- The whole content of a file, or nil.
function settings.read_file(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

--- Write a file; returns nil and why it could not.
function settings.write_file(path, text)
  local file, why = io.open(path, "wb")
  if not file then return nil, why end
  local written, reason = file:write(text)
  file:close()
  return written and true, reason
end

return settings
