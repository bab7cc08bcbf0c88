-- Runs `stembridge send` beside REAPER, without ever waiting for it.
--
-- ExecProcess splits its line into words in a way of its own on each system, and waiting in it stops all of
-- REAPER. So a small script is written that runs the program, puts what it says into files, and leaves its
-- exit code in a last one when it is over; REAPER starts that and looks at the files now and then.

local json = require("stembridge.json")
local settings = require("stembridge.settings")

local process = {}
process.__index = process

-- What a shell says when there is no such program: POSIX twice, then Windows.
process.NOT_FOUND = { [127] = true, [126] = true, [9009] = true }

local started = 0

--- One word of a POSIX shell: nothing in single quotes has a meaning but a single quote.
function process.posix_word(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- One word in a Windows batch file: in double quotes only percent signs have a meaning to it; to the
--- program that reads its own line, backslashes before a quote have.
function process.windows_word(text)
  text = text:gsub("[\r\n]", " "):gsub('"', "'"):gsub("%%", "%%%%")
  return '"' .. text:gsub("(\\+)$", "%1%1") .. '"'
end

local function line(words, quoted)
  local parts = {}
  for index, word in ipairs(words) do parts[index] = quoted(word) end
  return table.concat(parts, " ")
end

--- The text of the script that runs the words and says how it ended.
function process.script(words, out, err, code, windows)
  if windows then
    local w = process.windows_word
    return table.concat({
      "@echo off",
      "chcp 65001 >nul",
      line(words, w) .. " >" .. w(out) .. " 2>" .. w(err) .. " <nul",
      ">" .. w(code .. ".part") .. " echo %errorlevel%",
      "move /y " .. w(code .. ".part") .. " " .. w(code) .. " >nul",
      "",
    }, "\r\n")
  end
  local p = process.posix_word
  return table.concat({
    "# A program started from a dock has not the PATH of a terminal.",
    'PATH="$PATH:$HOME/.local/bin:/usr/local/bin:/opt/homebrew/bin"; export PATH',
    line(words, p) .. " >" .. p(out) .. " 2>" .. p(err) .. " </dev/null",
    'echo "$?" >' .. p(code .. ".part"),
    "mv " .. p(code .. ".part") .. " " .. p(code),
    "",
  }, "\n")
end

--- Start `stembridge send` with these arguments (texts); returns nil and why where it cannot be tried.
function process.send(arguments)
  local words = { settings.get("program", "stembridge"), "send" }
  for _, argument in ipairs(arguments) do words[#words + 1] = argument end
  words[#words + 1] = "--json"
  local port = settings.get("port")
  if port then
    words[#words + 1] = "--port"
    words[#words + 1] = port
  end
  started = started + 1
  local base = settings.join(
    settings.scratch_folder(), ("send-%d-%d"):format(math.floor(reaper.time_precise() * 1000), started)
  )
  local self = setmetatable({
    out = base .. ".out", err = base .. ".err", code = base .. ".code",
    start = base .. (settings.windows and ".cmd" or ".sh"),
    read = 0, rest = "",
  }, process)
  local text = process.script(words, self.out, self.err, self.code, settings.windows)
  local written, why = settings.write_file(self.start, text)
  if not written then return nil, ("%s cannot be written: %s"):format(self.start, why) end
  if settings.windows then
    reaper.ExecProcess('cmd.exe /d /c "' .. self.start .. '"', -2)
  else
    reaper.ExecProcess('/bin/sh "' .. self.start .. '"', -1)
  end
  return self
end

--- What it has said since the last time: a list of `{address=, arguments=}`.
function process:messages()
  local found = {}
  local file = io.open(self.out, "rb")
  if not file then return found end
  file:seek("set", self.read)
  local text = file:read("a") or ""
  file:close()
  self.read = self.read + #text
  text = self.rest .. text
  local start = 1
  for stop in text:gmatch("()\n") do
    local fine, message = pcall(json.decode, text:sub(start, stop - 1))
    if fine and type(message) == "table" and message.address then found[#found + 1] = message end
    start = stop + 1
  end
  self.rest = text:sub(start)
  return found
end

--- Its exit code once it has ended, else nil. What it said last is still there to read.
function process:exit_code()
  local text = settings.read_file(self.code)
  return text and tonumber(text:match("%-?%d+"))
end

--- What it complained of, for people.
function process:complaint()
  local text = (settings.read_file(self.err) or ""):gsub("^%s+", ""):gsub("%s+$", "")
  return (text:gsub("stembridge: error: ", ""))
end

--- Remove its files.
function process:forget()
  for _, path in ipairs({ self.out, self.err, self.code, self.start }) do os.remove(path) end
end

return process
