"""Checkout: takes carts, prices them, charges them through payments."""
