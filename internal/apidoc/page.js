// Commands ask the address that the page came from.
if (location.protocol.startsWith("http")) {
  for (const command of document.querySelectorAll(".copy pre")) {
    command.textContent = command.textContent.replace("http://127.0.0.1:8477/", location.origin + "/");
  }
}
for (const box of document.querySelectorAll(".copy")) {
  const button = box.querySelector("button");
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(box.querySelector("pre").textContent);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
}
