//! Receipt printers: layout, raster, ESC/POS and status
