"""How many instructions does a prediction take? The same number on a busy machine as on a quiet one."""
