// Start the page: read the data, and fill each section.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const networks = PLAY.networks(data);
  const state = { data, networks, network: networks[0], drawing: PLAY.drawing(networks[0].shape) };

  /** Draw a section when it is seen, and after every change of the picture while it is. */
  state.whenSeen = (root, draw) => {
    let seen = false;
    let due = true;
    const now = () => {
      if (!seen || !due) return;
      due = false;
      draw();
    };
    state.drawing.settled(() => {
      due = true;
      setTimeout(now);
    });
    new IntersectionObserver(([entry]) => {
      seen = entry.isIntersecting;
      now();
    }).observe(root);
    window.addEventListener("beforeprint", () => ((seen = true), now()));
  };

  for (const name of ["neuron", "matrix", "digit", "epsilon", "batchnorm", "flipping"]) {
    PLAY[name](document.querySelector(`#${name} .play`), state);
  }
  PLAY.questions();
  document.body.classList.add("ready");
})();
