"""Pure functions that turn values into what the console's templates draw."""
