"""Files: downloads, and arrays kept between runs."""
