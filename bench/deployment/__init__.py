"""Write a trained model in the form that a device takes, and measure it there."""
