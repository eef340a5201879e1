"""Request -> Hit -> answer: the only package, with app.py, that knows aiohttp.web."""
