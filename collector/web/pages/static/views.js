// Pages without a module of their own.

document.body.dataset.ready = "true";
