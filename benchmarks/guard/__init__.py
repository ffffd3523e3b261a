"""How well the guard tells bad builds from good ones, beside the rules that others use."""
