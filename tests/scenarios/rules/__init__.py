"""Rules that play the people of the demo shop for the model server.

They read what stands in the conversation as a model would: no number, no release and no line of a
log is known to them beforehand. By hand:

    python -m tests.model_server --rules tests/scenarios/rules/shop.py --latency-s 0.5
"""
