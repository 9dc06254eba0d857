"""An application's traffic beside builds."""
