"""Store model versions, and which of them is the champion."""
