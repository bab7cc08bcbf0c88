-- JSON, as the bridge writes it and as it reads it back. Errors are raised with the place they are at.

local json = {}

json.null = setmetatable({}, { __tostring = function() return "null" end })

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local DEEPEST = 64

local function fail(place, what)
  error(("this is no JSON: %s at character %d"):format(what, place), 0)
end

local function skip(text, place)
  return text:find("[^ \t\r\n]", place) or #text + 1
end

local function hexadecimal(text, place)
  local digits = text:match("^%x%x%x%x", place)
  if not digits then fail(place, "four hexadecimal digits are missing") end
  return tonumber(digits, 16)
end

-- A character beyond 16 bits comes as two halves, D800 to DBFF and DC00 to DFFF.
local function unicode(text, place)
  local code = hexadecimal(text, place)
  place = place + 4
  if code >= 0xD800 and code < 0xDC00 and text:sub(place, place + 1) == "\\u" then
    local low = hexadecimal(text, place + 2)
    if low >= 0xDC00 and low < 0xE000 then
      code = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00)
      place = place + 6
    end
  end
  -- Half a character alone stands for a byte that is no Unicode, as Linux allows in file names.
  if code >= 0xDC80 and code <= 0xDCFF then return string.char(code - 0xDC00), place end
  return utf8.char(code), place
end

local function read_string(text, place)
  local parts, start = {}, place + 1
  while true do
    local at = text:find('["\\]', start)
    if not at then fail(place, "a text does not end") end
    parts[#parts + 1] = text:sub(start, at - 1)
    if text:sub(at, at) == '"' then return table.concat(parts), at + 1 end
    local letter = text:sub(at + 1, at + 1)
    if letter == "u" then
      parts[#parts + 1], start = unicode(text, at + 2)
    else
      if not ESCAPES[letter] then fail(at, "an escape that JSON does not have") end
      parts[#parts + 1], start = ESCAPES[letter], at + 2
    end
  end
end

local read_value

local function read_list(text, place, depth)
  local list = {}
  place = skip(text, place + 1)
  if text:sub(place, place) == "]" then return list, place + 1 end
  while true do
    list[#list + 1], place = read_value(text, place, depth)
    place = skip(text, place)
    local mark = text:sub(place, place)
    if mark == "]" then return list, place + 1 end
    if mark ~= "," then fail(place, "a list goes on without a comma") end
    place = place + 1
  end
end

local function read_object(text, place, depth)
  local object = {}
  place = skip(text, place + 1)
  if text:sub(place, place) == "}" then return object, place + 1 end
  while true do
    place = skip(text, place)
    if text:sub(place, place) ~= '"' then fail(place, "a name is missing") end
    local name
    name, place = read_string(text, place)
    place = skip(text, place)
    if text:sub(place, place) ~= ":" then fail(place, "a colon is missing") end
    object[name], place = read_value(text, place + 1, depth)
    place = skip(text, place)
    local mark = text:sub(place, place)
    if mark == "}" then return object, place + 1 end
    if mark ~= "," then fail(place, "an object goes on without a comma") end
    place = place + 1
  end
end

local WORDS = { { "true", true }, { "false", false }, { "null", json.null } }

read_value = function(text, place, depth)
  if depth > DEEPEST then fail(place, "it is nested too deep") end
  place = skip(text, place)
  local mark = text:sub(place, place)
  if mark == '"' then return read_string(text, place) end
  if mark == "[" then return read_list(text, place, depth + 1) end
  if mark == "{" then return read_object(text, place, depth + 1) end
  for _, word in ipairs(WORDS) do
    if text:sub(place, place + #word[1] - 1) == word[1] then return word[2], place + #word[1] end
  end
  local digits = text:match("^-?%d+%.?%d*[eE]?[-+]?%d*", place)
  local number = digits and tonumber(digits)
  if not number then fail(place, "a value is missing") end
  return number, place + #digits
end

--- The value a text stands for; objects and lists as tables, null as `json.null`.
function json.decode(text)
  local value, place = read_value(text, 1, 0)
  place = skip(text, place)
  if place <= #text then fail(place, "more follows") end
  return value
end

local function write_string(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

--- The text of a value: tables with an entry 1, and empty ones, are lists.
function json.encode(value)
  local kind = type(value)
  if kind == "string" then return write_string(value) end
  if kind == "number" then
    if math.type(value) == "integer" then return tostring(value) end
    if value ~= value or value == math.huge or value == -math.huge then return "null" end
    return ("%.17g"):format(value)
  end
  if kind ~= "table" or value == json.null then return value == nil and "null" or tostring(value) end
  local parts = {}
  if value[1] ~= nil or next(value) == nil then
    for index, entry in ipairs(value) do parts[index] = json.encode(entry) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for index, name in ipairs(names) do
    parts[index] = write_string(name) .. ":" .. json.encode(value[name])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return json
