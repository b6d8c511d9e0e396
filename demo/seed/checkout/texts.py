"""What customers read."""

ORDER_PLACED = "Order placed."
REFUND_ACCEPTED = "Refund accepted."
PAYMENT_PROBLEM = "Payment failed."
EMPTY_CART = "Cart is empty."
