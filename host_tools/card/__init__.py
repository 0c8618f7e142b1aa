"""Read, check and export what the firmware keeps on a card, without the appliance."""
