"""Whether a challenger is better on live traffic: answers joined to outcomes, and a verdict."""
