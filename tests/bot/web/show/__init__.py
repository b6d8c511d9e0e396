"""Tests of bot.web.show."""
