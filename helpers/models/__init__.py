"""What is estimated: purchase and spend models, forecasts and their check."""
