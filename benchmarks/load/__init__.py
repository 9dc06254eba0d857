"""An application's traffic during builds."""
