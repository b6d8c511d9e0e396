"""The chat systems Muster speaks to; one folder each, all behind `bot.platforms.port`."""
