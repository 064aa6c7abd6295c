"""Properties that must hold for whatever comes: a hundred examples each in every run, thousands at night."""
