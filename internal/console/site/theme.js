// Runs before anything is drawn, so that nobody who has chosen a theme sees the other one first.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem('rowhook-theme'); } catch { /* storage is switched off: the system's theme */ }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
