// The page for paper: printed at once where it was opened in order to be.

if (new URLSearchParams(location.search).has("now")) addEventListener("load", () => print());
document.body.dataset.ready = "true";
