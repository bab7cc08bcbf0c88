-- Renders what the selected items play within the time selection; the items are cut there.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])")
package.path = folder .. "?.lua;" .. package.path

require("stembridge.render").selected(true)
