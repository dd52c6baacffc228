(() => {
  const battles = [...document.querySelectorAll("details.battle")], choices = [...document.querySelectorAll("select")];
  const tell = () => {
    let count = 0;
    for (const battle of battles) {
      battle.hidden = !choices.every((one) => !one.value || battle.dataset[one.name].split("\n").includes(one.value));
      if (!battle.hidden) count += 1;
    }
    for (const one of choices) one.classList.toggle("set", Boolean(one.value));
    $("status").textContent = `${count.toLocaleString("en")} of ${battles.length.toLocaleString("en")} battles`;
  };
  for (const one of choices) one.addEventListener("change", tell);
  $("clear").addEventListener("click", () => { for (const one of choices) one.value = ""; tell(); });
  tell();
})();
