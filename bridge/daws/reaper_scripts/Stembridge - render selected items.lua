-- Renders what the selected items play and puts the stems on tracks below them.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])")
package.path = folder .. "?.lua;" .. package.path

require("stembridge.render").selected(false)
