"""The board: a web page that shows open alerts, who has them and their outcomes, and takes acts on them."""
