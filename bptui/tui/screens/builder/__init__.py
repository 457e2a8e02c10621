"""The model builder: an experiment as an outline and a form, changed key by key and applied as one."""
