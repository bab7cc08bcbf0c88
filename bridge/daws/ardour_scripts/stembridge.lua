ardour {
  ["type"] = "EditorAction",
  name = "Stembridge",
  license = "MIT",
  author = "Stembridge",
  description = [[Puts the stems that Stembridge rendered onto tracks, and tells it which region is selected.
Stembridge calls it over OSC; called by hand it does nothing.]]
}

-- Ardour keeps this text, compiled, in the slot it is given; what it does is read anew at every call. An error
-- that got out would empty the slot, as far as Ardour is concerned.
function factory () return function ()
  local folder = @FOLDER@
  local fine, why = pcall (function ()
    local file = assert (io.open (folder .. "/requests.lua", "rb"))
    local source = file:read ("a")
    file:close ()
    assert (load (source, "stembridge")) (folder)
  end)
  if not fine then print ("Stembridge: " .. tostring (why)) end
end end
