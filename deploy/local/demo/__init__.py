"""The demo: three years of real contacts streamed through the gateway, and what Rapport makes of them."""
