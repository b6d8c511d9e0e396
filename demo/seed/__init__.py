"""The oldest state of the shop's release repository; `demo.history` says what came after."""
