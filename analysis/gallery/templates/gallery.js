// Pictures load when they are looked at, and the others once the page stands, so that a print has all of them.
window.addEventListener("load", () => {
  const rest = () => { for (const image of document.querySelectorAll("img[loading=lazy]")) image.loading = "eager"; };
  if (window.requestIdleCallback) window.requestIdleCallback(rest, { timeout: 2000 }); else setTimeout(rest, 500);
});
