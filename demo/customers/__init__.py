"""The shop's customers: a small database, and the office that looks them up and writes to them."""
