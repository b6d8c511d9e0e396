"""Tests of `demo.customers`."""
