SELECT budget, scope, type, threshold, step FROM lines_over
