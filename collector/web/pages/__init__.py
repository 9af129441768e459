"""Pages for people, rendered here: templates, their small modules for the browser, and who may see them."""
