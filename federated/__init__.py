"""ROUNDS OVER VENDORS, AND THE STUDY: watch makers train one model together without handing over a minute."""
