-- A small window that shows how far a render is; closing it cancels.

local window = {}

local WIDTH, HEIGHT, MARGIN = 460, 110, 16
local ESCAPE, CLOSED = 27, -1

function window.open()
  gfx.init("Stembridge", WIDTH, HEIGHT)
  gfx.setfont(1, "Arial", 15)
end

--- Show two lines and a bar from 0 to 1 (nil: no bar); false once it has been closed.
function window.show(first, second, fraction)
  local key = gfx.getchar()
  if key == CLOSED or key == ESCAPE then return false end
  gfx.set(0.15, 0.15, 0.15, 1)
  gfx.rect(0, 0, gfx.w, gfx.h, 1)
  gfx.set(0.9, 0.9, 0.9, 1)
  gfx.x, gfx.y = MARGIN, 14
  gfx.drawstr(first)
  gfx.x, gfx.y = MARGIN, 38
  gfx.drawstr(second)
  if fraction then
    local width = gfx.w - 2 * MARGIN
    gfx.set(0.3, 0.3, 0.3, 1)
    gfx.rect(MARGIN, 70, width, 14, 1)
    gfx.set(0.34, 0.71, 0.91, 1)
    gfx.rect(MARGIN, 70, math.floor(width * math.min(math.max(fraction, 0), 1)), 14, 1)
  end
  gfx.update()
  return true
end

function window.close()
  gfx.quit()
end

return window
