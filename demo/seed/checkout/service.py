"""The routes of checkout."""

from demo.runtime import Payload, Reply, Route, Runtime

from . import pricing, texts

PAYMENTS_TIMEOUT_S = 0.8


class Checkout:
    """Price carts, place orders, pass refunds on."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._log = runtime.log
        self._orders_placed = 0
        runtime.every(9.0, self._refresh_stock)

    async def quote(self, cart: Payload, trace: str) -> Reply:
        """Say what a cart costs."""
        prices = pricing.price(cart)
        self._log.info("quote priced", cart=cart["id"], total=prices["total"], trace=trace)
        return Reply(200, {"prices": prices})

    async def order(self, cart: Payload, trace: str) -> Reply:
        """Price a cart, charge it, place the order."""
        if not cart["lines"]:
            return Reply(422, {"message": texts.EMPTY_CART})
        prices = pricing.price(cart)
        self._note_coupon(cart)
        charge = {"order": cart["id"], "amount": prices["total"], "issuer": cart["issuer"]}
        reply = await self._pay("/charges", charge, cart["id"], trace)
        if reply.status != 200:
            return reply
        self._orders_placed += 1
        self._log.info(
            "order placed",
            cart=cart["id"],
            total=prices["total"],
            items=len(cart["lines"]),
            trace=trace,
        )
        return Reply(200, {"message": texts.ORDER_PLACED, "prices": prices})

    async def refund(self, refund: Payload, trace: str) -> Reply:
        """Pass a refund on to payments."""
        reply = await self._pay("/refunds", refund, refund["order"], trace)
        if reply.status != 200:
            return reply
        self._log.info(
            "refund accepted", order=refund["order"], amount=refund["amount"], trace=trace
        )
        return Reply(200, {"message": texts.REFUND_ACCEPTED})

    async def _pay(self, path: str, payload: Payload, cart: int, trace: str) -> Reply:
        try:
            reply = await self._runtime.post(
                "payments", path, payload, trace, timeout_s=PAYMENTS_TIMEOUT_S
            )
        except TimeoutError:
            waited_ms = round(PAYMENTS_TIMEOUT_S * 1000)
            self._log.error(
                f"upstream timeout payments after {waited_ms}ms", cart=cart, trace=trace
            )
            return Reply(504, {"message": texts.PAYMENT_PROBLEM})
        if reply.status >= 500:
            self._log.error(
                "payment not completed", upstream="payments", status=reply.status, trace=trace
            )
            return Reply(502, {"message": texts.PAYMENT_PROBLEM})
        return reply

    def _note_coupon(self, cart: Payload) -> None:
        code = cart.get("coupon")
        if code is None:
            return
        if pricing.discount_for(code):
            self._log.info("coupon applied", cart=cart["id"], code=code)
        else:
            self._log.warning("coupon expired", cart=cart["id"], code=code)

    def _refresh_stock(self) -> None:
        self._log.info("stock cache refreshed", skus=412, orders=self._orders_placed)


def routes(runtime: Runtime) -> dict[str, Route]:
    """Return what checkout answers, by path."""
    checkout = Checkout(runtime)
    return {"/orders": checkout.order, "/quotes": checkout.quote, "/refunds": checkout.refund}
